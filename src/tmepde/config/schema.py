"""The sections that say where (``[grid]``, ``[tissue]``) and how long and how exactly (``[run]``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StrictBool, StrictInt, field_validator, model_validator

from tmepde.config.section import Quantity, Section, at, shown, wrong

#: cells of the largest grid that is tried, and saved snapshots
MOST_CELLS, MOST_SAVES = 1_000_000_000, 100_000

_LENGTH = Quantity("um", above=0.0, bare=False)
_LENGTHS = Quantity("um", above=0.0, bare=False, many="must")
_PLACE = Quantity("um", bare=False, many="must")
_SIZES = Quantity("um", above=0.0, bare=False, many="may")
_TIME = Quantity("h", above=0.0, bare=False)
_TIMES = Quantity("h", low=0.0, bare=False, many="must")
Count = Annotated[StrictInt, Field(ge=1, le=MOST_CELLS)]


class Cut(Section):
    """Tissue is what lies inside a ball (an interval, a disc) or, with one ``radius`` per axis, an ellipsoid; cells at
    its edge are cut. On an axisymmetric grid the body turns around the axis."""

    radius: Annotated[Any, _SIZES]
    center: Annotated[Any, _PLACE] = None

    def middle(self, grid: Any) -> tuple[float, ...]:
        """The stated centre, or the middle of the grid (on the axis, where it has one)."""
        return self.center or tuple(0.0 if a == "r" else 0.5 * e for a, e in zip(grid.axes, grid.extent, strict=True))

    def radii(self, grid: Any) -> tuple[float, ...]:
        """One semi-axis per axis of the grid."""
        return self.radius if isinstance(self.radius, tuple) else (self.radius,) * len(grid.axes)

    def steps(self, grid: Any) -> tuple[float, ...]:
        """Width of a cell over the semi-axis, per axis; zeros where the grid lies wholly inside and nothing is cut."""
        starts = [grid.inner if a == "r" else 0.0 for a in grid.axes]
        bodies = list(zip(self.middle(grid), self.radii(grid), starts, grid.extent, strict=True))
        if sum((max(c - low, high - c) / radius) ** 2 for c, radius, low, high in bodies) <= 1.0:
            return (0.0,) * len(bodies)
        return tuple((high - low) / n / radius for (_, radius, low, high), n in zip(bodies, grid.cells, strict=True))

    def within(self, grid: Any) -> bool:
        """Whether no part of the body lies beyond the grid."""
        bodies = zip(grid.axes, self.middle(grid), self.radii(grid), grid.extent, strict=True)
        return all((a == "r" or c >= radius) and c + radius <= high for a, c, radius, high in bodies)


def _cut(grid: Any) -> None:
    """The cut must have as many entries as the grid has axes, tissue in it, and semi-axes that cells can show."""
    if grid.cut is None:
        return
    axes = len(grid.extent)
    for name in ("radius", "center"):
        value = getattr(grid.cut, name)
        if isinstance(value, tuple) and len(value) != axes:
            raise at("cut", f"must have {axes} entries of {name}, but {len(value)} were given. Write one per axis.")
    for a, c, e in zip(grid.axes, grid.cut.middle(grid), grid.extent, strict=True):
        if not 0 <= c <= e:
            raise at("cut", f"must have its center inside the grid, but {a} = {c:g} um does not lie there. Move it.")
    for a, radius, step in zip(grid.axes, grid.cut.radii(grid), grid.cut.steps(grid), strict=True):
        if step > 1 + 1e-9:
            raise at(
                "cut",
                f"must have a radius of at least one cell along {a} ({radius * step:g} um), but {radius:g} um was "
                "given, which such cells cannot show. Use finer cells, or a larger radius.",
            )


class Box(Section):
    """Equal cells in 1, 2 or 3 dimensions; entries in array order (z, y, x)."""

    kind: Literal["box"] = "box"
    extent: Annotated[Any, _LENGTHS]
    cells: Annotated[tuple[Count, ...], Field(strict=False)]
    periodic: StrictBool | Annotated[tuple[StrictBool, ...], Field(strict=False)] = False
    cut: Cut | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Names in array order."""
        return ("z", "y", "x")[-len(self.extent) :]

    @model_validator(mode="after")
    def _agree(self) -> Box:
        axes = len(self.extent)
        if not 1 <= axes <= 3:
            raise at(
                "extent", f"must have 1, 2 or 3 entries, one per axis, but {axes} were given. Write 1 to 3 lengths."
            )
        if len(self.cells) != axes:
            raise at(
                "cells", f"must have {axes} entries like `extent`, but {len(self.cells)} were given. Add or drop some."
            )
        if isinstance(self.periodic, tuple) and len(self.periodic) != axes:
            raise at("periodic", f"must have {axes} entries, but {len(self.periodic)} were given. Write one per axis.")
        if axes > 1 and 1 in self.cells:
            raise at(
                "cells", f"must be at least 2 on every axis, but {list(self.cells)} was given. Leave that axis out."
            )
        _cut(self)
        return self

    @field_validator("cells")
    @classmethod
    def _fits(cls, cells: tuple[int, ...]) -> tuple[int, ...]:
        return _few_enough(cells)


class Radial(Section):
    """One axis r from ``inner`` to ``radius``: a sphere, a cylinder or a slab."""

    kind: Literal["radial"] = "radial"
    radius: Annotated[Any, _LENGTH]
    cells: Annotated[int, Field(ge=2, le=MOST_CELLS)]
    symmetry: Literal["sphere", "cylinder", "slab"] = "sphere"
    inner: Annotated[Any, Quantity("um", low=0.0, bare=False)] = 0.0

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of the axis."""
        return ("x",) if self.symmetry == "slab" else ("r",)

    @property
    def extent(self) -> tuple[float, ...]:
        """Where the axis ends."""
        return (self.radius,)

    @model_validator(mode="after")
    def _ordered(self) -> Radial:
        if self.inner >= self.radius:
            raise at("inner", f"must be less than radius, but {self.inner:g} um was given. Exchange them.")
        _few_enough((self.cells,))
        return self


class Axisymmetric(Section):
    """Axes (z, r): a body of revolution, 0 ≤ z ≤ ``height`` and ``inner`` ≤ r ≤ ``radius``; ``periodic`` along z."""

    kind: Literal["axisymmetric"] = "axisymmetric"
    height: Annotated[Any, _LENGTH]
    radius: Annotated[Any, _LENGTH]
    cells: Annotated[tuple[Count, ...], Field(strict=False)]
    inner: Annotated[Any, Quantity("um", low=0.0, bare=False)] = 0.0
    periodic: StrictBool = False
    cut: Cut | None = None

    @property
    def axes(self) -> tuple[str, ...]:
        """Names in array order."""
        return ("z", "r")

    @property
    def extent(self) -> tuple[float, ...]:
        """Where the axes end."""
        return (self.height, self.radius)

    @model_validator(mode="after")
    def _ordered(self) -> Axisymmetric:
        if self.inner >= self.radius:
            raise at("inner", f"must be less than radius, but {self.inner:g} um was given. Exchange them.")
        if len(self.cells) != 2 or min(self.cells) < 2:
            given = list(self.cells)
            raise at("cells", f"must be two numbers (z, r), each at least 2, but {given} was given. Write both.")
        _few_enough(self.cells)
        _cut(self)
        return self


def _few_enough(cells: tuple[int, ...]) -> tuple[int, ...]:
    total = 1
    for n in cells:
        total *= n
    if total > MOST_CELLS:
        memory = total * 4 * 25 * 8 / 2**30
        raise wrong(
            f"must be at most {MOST_CELLS:.0e} cells in all, but {list(cells)} are {total:.3g}, about "
            f"{memory:.3g} GiB in float32 for 25 species. Use fewer cells."
        )
    return cells


class Nodule(Section):
    """A round nodule in stroma, on the grid."""

    kind: Literal["nodule"] = "nodule"
    radius: Annotated[Any, _LENGTH]
    center: Annotated[Any, _PLACE] = None
    vessels: Annotated[Any, Quantity("1", low=0.0, doc="vessel density relative to typical host tissue")] = 1.0


class Uniform(Section):
    """Tumour nest everywhere on the grid."""

    kind: Literal["uniform"] = "uniform"


class _Picture(Section):
    @model_validator(mode="after")
    def _coarser(self) -> _Picture:
        pixel, cell = self.pixel_size, self.cell_size  # type: ignore[attr-defined]
        if cell < pixel:
            raise at("cell_size", f"must be at least pixel_size ({pixel:g} um), but {cell:g} um was given. Enlarge it.")
        return self


Crop = Annotated[tuple[StrictInt, ...], Field(strict=False, min_length=4, max_length=4)]


class ColonIhc(_Picture):
    """The colon section bundled with scikit-image; it brings its own grid. The pixel size is an assumption."""

    kind: Literal["colon_ihc"] = "colon_ihc"
    pixel_size: Annotated[Any, _LENGTH]
    cell_size: Annotated[Any, _LENGTH]
    crop: Crop | None = None


class Image(_Picture):
    """A picture of a section stained with haematoxylin and DAB; it brings its own grid."""

    kind: Literal["image"] = "image"
    image: str
    pixel_size: Annotated[Any, _LENGTH]
    cell_size: Annotated[Any, _LENGTH]
    crop: Crop | None = None


def _labels(value: Any) -> Any:
    """One label or a list of them; a union of types would report a problem for each type."""
    if all(
        isinstance(one, int) and not isinstance(one, bool) for one in (value if isinstance(value, list) else [value])
    ):
        return value
    raise wrong(
        f"must be a whole number or a list of them, but {shown(value)} was given. Write for instance 1 or [1, 2]."
    )


class Labels(Section):
    """A label image made elsewhere, in one, two or three dimensions; it brings its own grid.

    ``file`` is a NumPy array, a grey picture or a NIfTI volume; labels in no class are outside of the tissue.
    """

    kind: Literal["labels"] = "labels"
    file: str
    pixel_size: Annotated[Any, _SIZES] = None
    cell_size: Annotated[Any, _SIZES] = None
    classes: dict[str, Annotated[Any, PlainValidator(_labels)]] | None = None

    @model_validator(mode="after")
    def _known(self) -> Labels:
        if self.pixel_size is None and not self.file.lower().endswith((".nii", ".nii.gz")):
            raise at("pixel_size", 'must be given: only NIfTI volumes state it. Write for instance "10 um".')
        names = self.classes or {"tumour": 1}
        for name in names:
            if name not in ("tumour", "stroma", "vessel"):
                raise at("classes", f"names {name!r}. Known: tumour, stroma, vessel.")
        if "tumour" not in names:
            raise at("classes", "must say which labels are tumour. Write for instance { tumour = 1, stroma = 2 }.")
        if names["tumour"] == []:
            raise at("classes", "must name a label of tumour, but its list is empty. Write for instance tumour = [1].")
        return self


class Retina(_Picture):
    """The vessels of the retina bundled with scikit-image, and a round nodule among them; it brings its own grid."""

    kind: Literal["retina"] = "retina"
    pixel_size: Annotated[Any, _LENGTH]
    cell_size: Annotated[Any, _LENGTH]
    radius: Annotated[Any, _LENGTH]
    center: Annotated[Any, _PLACE] = None
    crop: Crop | None = None

    @model_validator(mode="after")
    def _flat(self) -> Retina:
        if self.center is not None and len(self.center) != 2:
            raise at("center", f"must have 2 entries (y, x), but {len(self.center)} were given. Write both.")
        return self


class BrainMni(Section):
    """A tumour, and the cavity of its resection, in the MNI ICBM152 brain; it brings its own grid.

    Places are MNI coordinates in the order (z, y, x): up, forward, right.
    """

    kind: Literal["brain_mni"] = "brain_mni"
    voxel_size: Annotated[Any, Quantity("um", low=1000.0, bare=False, doc="the maps have voxels of 1 mm")]
    extent: Annotated[Any, _LENGTHS]
    center: Annotated[Any, _PLACE]
    radius: Annotated[Any, _LENGTH]
    tumour_center: Annotated[Any, _PLACE] = None
    infiltration: Annotated[Any, Quantity("um", low=0.0, bare=False, doc="length over which the margin fades")] = 0.0
    cavity_radius: Annotated[Any, Quantity("um", low=0.0, bare=False, doc="0 is no cavity")] = 0.0
    cavity_center: Annotated[Any, _PLACE] = None
    contrast: Annotated[Any, Quantity("1", low=1.0, high=100.0, doc="tumour motility in white over grey matter")] = 5.0
    white_vessels: Annotated[Any, Quantity("1", low=0.0, high=10.0, doc="vessels in white over grey matter")] = 0.5

    @model_validator(mode="after")
    def _three_axes(self) -> BrainMni:
        for name in ("extent", "center", "tumour_center", "cavity_center"):
            value = getattr(self, name)
            if value is not None and len(value) != 3:
                raise at(name, f"must have 3 entries (z, y, x), but {len(value)} were given. Write all three.")
        return self


class Save(Section):
    """When to save, and which fields in full (all species where it is left out); time series are always kept."""

    every: Annotated[Any, _TIME] = None
    times: Annotated[Any, _TIMES] = None
    fields: Annotated[tuple[str, ...], Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Save:
        if (self.every is None) == (self.times is None):
            raise wrong('must have either `every` or `times`. Write for instance every = "6 hour".')
        if self.times is not None and any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise at("times", "must increase from entry to entry. Sort them and drop repeated ones.")
        if self.fields is not None and len(set(self.fields)) < len(self.fields):
            raise at("fields", "must name each field once. Drop the repeated one.")
        return self


class Run(Section):
    """How long, what to save, and the error control."""

    until: Annotated[Any, _TIME]
    save: Save = Field(default_factory=lambda: Save.model_validate({"every": "12 hour"}))
    precision: Literal["f32", "f64"] = "f32"
    rtol: Annotated[Any, Quantity("1", above=0.0, high=0.05, doc="relative error allowed per step")] = 1e-3
    max_steps: Annotated[StrictInt, Field(ge=1, le=1_000_000_000)] = 10_000  # per save interval

    @model_validator(mode="after")
    def _possible(self) -> Run:
        save, until = self.save, self.until
        if save.every is not None and until / save.every > MOST_SAVES:
            raise at(
                "save",
                f"must ask for at most {MOST_SAVES} snapshots, but {until / save.every:.3g} were asked for. "
                "Enlarge `every`.",
            )
        if save.times is not None and save.times[-1] > until:
            raise at("save", f"must have times up to until ({until:g} h), but {save.times[-1]:g} h was given. Drop it.")
        floor = {"f32": 1e-6, "f64": 1e-13}[self.precision]
        if self.rtol < floor:
            remedy = 'Set precision = "f64".' if self.precision == "f32" else "Enlarge it."
            raise at("rtol", f"must be at least {floor:g} in {self.precision}, but {self.rtol:g} was given. {remedy}")
        return self


GRIDS: dict[str, type[Section]] = {"box": Box, "radial": Radial, "axisymmetric": Axisymmetric}
TISSUES: dict[str, type[Section]] = {
    "nodule": Nodule,
    "uniform": Uniform,
    "colon_ihc": ColonIhc,
    "image": Image,
    "labels": Labels,
    "retina": Retina,
    "brain_mni": BrainMni,
}
#: tissues that bring their own grid
PICTURES = ("colon_ihc", "image", "labels", "retina", "brain_mni")
