"""One domain in parts, one part a device: which axes are cut, and where arrays are put.

    layout = Layout.of((256, 256, 256), 8)         # 8 slabs of 32 × 256 × 256 cells
    with layout.tracing(): …                       # programs traced here keep fields in parts

Fields (arrays whose last axes are those of the grid) lie in equal parts on a mesh of devices, everything else lies
whole on each. XLA's partitioner derives what has to be exchanged; the few places where it would send whole fields ask
:func:`current` for the layout and say themselves what goes where. Without one, the functions here do nothing.

Over several processes (``jax.distributed``) each holds its devices' parts; :func:`to_host` brings whole arrays to all.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

#: cells along a cut axis that every part should have: below, what is exchanged nears what is computed
_THICK = 16
#: cells up to which a coarse level is computed whole by every device: gathering it costs less than its many exchanges
GATHERED = 32_768
#: numbers of a model up to which a look at them is quicker on a processor than the start of some hundred kernels
_FEW = 2**20
_NAMES = "xyz"
_CURRENT: contextvars.ContextVar[Layout | None] = contextvars.ContextVar("layout", default=None)


@dataclasses.dataclass(frozen=True)
class Layout:
    """``mesh``: one axis per grid axis, of as many devices as that axis is cut into; ``shape``: cells of the grid."""

    mesh: Mesh
    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int], devices: int | str | Sequence[Any]) -> Layout:
        """Cut ``shape`` into equal parts: along as few of the first axes as leave parts that are thick, with the least
        surface.

        Args:
            devices: how many of those that JAX finds, ``"all"``, or the devices themselves.

        Raises:
            ValueError: if there are not as many, or the extents cannot be cut into that many equal parts.
        """
        chosen = _devices(devices)
        shape = tuple(int(n) for n in shape)
        parts = _parts(shape, len(chosen))
        names = tuple(_NAMES[: len(shape)])
        mesh = Mesh(np.asarray(chosen).reshape(parts), names, axis_types=(AxisType.Auto,) * len(names))
        return cls(mesh, shape)

    @property
    def parts(self) -> tuple[int, ...]:
        """Parts per grid axis."""
        return tuple(self.mesh.shape[name] for name in self.mesh.axis_names)

    @property
    def size(self) -> int:
        return int(self.mesh.size)

    def spec(self, ndim: int) -> PartitionSpec:
        """How an array of ``ndim`` axes, the last of them the grid's, is cut."""
        names = [name if m > 1 else None for name, m in zip(self.mesh.axis_names, self.parts, strict=True)]
        return PartitionSpec(*[None] * (ndim - len(names)), *names)

    def sharding(self, spec: PartitionSpec) -> NamedSharding:
        return NamedSharding(self.mesh, spec)

    def holds(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of ``shape`` is a field (or a stack of fields) of this grid."""
        return shape[-len(self.shape) :] == self.shape

    def cuts(self, cells: tuple[int, ...]) -> bool:
        """Whether a grid of ``cells`` (this one, or a coarser level of it) lies in parts."""
        if cells == self.shape:
            return True
        equal = all(n % m == 0 for n, m in zip(cells, self.parts, strict=True))
        return equal and int(np.prod(cells)) > GATHERED

    def level(self, tree: Any) -> Any:
        """Inside a program: arrays on one level of a hierarchy in parts where :meth:`cuts` says so, else whole."""

        def leaf(x: Any) -> Any:
            cut = self.cuts(x.shape[-len(self.shape) :])
            where = self.spec(x.ndim) if cut else PartitionSpec()
            return jax.lax.with_sharding_constraint(x, self.sharding(where))

        return jax.tree.map(leaf, tree)

    def locally(self, function: Callable[..., Any], *values: Any, whole: Sequence[Any] = ()) -> Any:
        """``function`` of each device's parts of ``values``, and of what is ``whole`` on each; results are parts."""
        specs = (*[self.spec(v.ndim) for v in values], *[PartitionSpec()] * len(whole))
        out = self.spec(max(v.ndim for v in values))
        program = jax.shard_map(function, mesh=self.mesh, in_specs=specs, out_specs=out, check_vma=False)
        return program(*values, *whole)

    def alone(self, function: Callable[..., Any], *values: Any) -> Any:
        """``function(*values)`` by each device for itself, of whole arrays: nothing is exchanged within."""

        def by_itself(*values: Any) -> Any:
            token = _CURRENT.set(None)
            try:
                return function(*values)
            finally:
                _CURRENT.reset(token)

        here = PartitionSpec()
        return jax.shard_map(by_itself, mesh=self.mesh, in_specs=here, out_specs=here, check_vma=False)(*values)

    def of_array(self, shape: tuple[int, ...]) -> NamedSharding:
        """Where an array of ``shape`` lies."""
        return self.sharding(self.spec(len(shape)) if self.holds(shape) else PartitionSpec())

    def place(self, tree: Any) -> Any:
        """Host arrays, the same in every process, put where they belong."""

        def leaf(x: Any) -> Any:
            array = np.asarray(x)
            return jax.make_array_from_callback(array.shape, self.of_array(array.shape), lambda index: array[index])

        return jax.tree.map(leaf, tree)

    def kept(self, tree: Any) -> Any:
        """Inside a program: every array of ``tree`` where it belongs."""
        constrain = jax.lax.with_sharding_constraint
        return jax.tree.map(lambda x: constrain(x, self.of_array(np.shape(x))), tree)

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """What is traced within knows this layout."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)


def members_mesh(devices: int | str | Sequence[Any]) -> Mesh:
    """Devices among which the members of a batch are shared out; errors as in :meth:`Layout.of`."""
    return Mesh(np.asarray(_devices(devices)), ("members",), axis_types=(AxisType.Auto,))


def current() -> Layout | None:
    """The layout of the program that is being traced."""
    return _CURRENT.get()


def platform() -> str:
    """Kind of device ("cpu", "gpu", …) that the program being traced is meant for."""
    if (layout := _CURRENT.get()) is not None:
        return str(layout.mesh.devices.flat[0].platform)
    settings: Any = jax.config
    default = settings.jax_default_device
    return jax.default_backend() if default is None else str(getattr(default, "platform", default))


def beside(numbers: int) -> contextlib.AbstractContextManager[Any]:
    """Where a look at few ``numbers`` runs: on the processor beside a card, whose kernels would take longer to start
    than to run, and whose loops ask the host at every turn."""
    if numbers <= _FEW and platform() != "cpu":
        with contextlib.suppress(RuntimeError):  # JAX may have been told of the card alone
            return jax.default_device(jax.local_devices(backend="cpu")[0])
    return contextlib.nullcontext()


def level(tree: Any) -> Any:
    """:meth:`Layout.level`, or ``tree`` as it is."""
    layout = _CURRENT.get()
    return tree if layout is None else layout.level(tree)


def whole(tree: Any) -> Any:
    """Inside a program: every array whole on each device, if there is a layout."""
    layout = _CURRENT.get()
    if layout is None:
        return tree
    where = layout.sharding(PartitionSpec())
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(jnp.asarray(x), where), tree)


def parts_of(cells: tuple[int, ...]) -> tuple[int, ...]:
    """Parts per axis of a grid of ``cells`` in the program that is being traced."""
    layout = _CURRENT.get()
    return (1,) * len(cells) if layout is None or not layout.cuts(cells) else layout.parts


def tracing(layout: Layout | None) -> contextlib.AbstractContextManager[None]:
    """:meth:`Layout.tracing`, or nothing."""
    return contextlib.nullcontext() if layout is None else layout.tracing()


def to_host(values: Any) -> np.ndarray:
    """A whole numpy array; across processes its parts are brought to all, so that all must call this."""
    if isinstance(values, jax.Array) and not (values.is_fully_addressable or values.is_fully_replicated):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(values, tiled=True))
    return np.asarray(values)


def _devices(devices: int | str | Sequence[Any]) -> list[Any]:
    settings: Any = jax.config
    default = settings.jax_default_device
    there = jax.devices(getattr(default, "platform", default)) if default is not None else jax.devices()
    if isinstance(devices, str) and devices == "all":
        return list(there)
    if isinstance(devices, str):
        raise ValueError(f"`devices` must be a number, 'all' or a list of devices, but {devices!r} was given.")
    if isinstance(devices, bool) or not isinstance(devices, int | np.integer):
        listed = [] if isinstance(devices, bool) or not hasattr(devices, "__iter__") else list(devices)
        if not listed or not all(isinstance(one, jax.Device) for one in listed):
            raise ValueError(
                f"`devices` must be a number, 'all' or a list of devices, but {type(devices).__name__} was given."
            )
        if len(set(listed)) != len(listed):
            raise ValueError(f"`devices` must name each device once, but {listed} was given.")
        return listed
    if not 1 <= devices <= len(there):
        raise ValueError(
            f"`devices` must be between 1 and {len(there)}, the devices that JAX finds, but {devices} was given. A "
            "processor shows as many as XLA_FLAGS=--xla_force_host_platform_device_count=N says."
        )
    if jax.process_count() > 1 and devices != len(there):
        raise ValueError(
            f"`devices` must be all {len(there)} of the {jax.process_count()} processes, but {devices} was given. "
            "Write devices='all'."
        )
    return list(there[:devices])


def _parts(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Into how many parts each axis is cut."""
    ways = [p for p in itertools.product(*map(_divisors, shape)) if int(np.prod(p)) == count]
    if not ways:
        able = sorted({int(np.prod(p)) for p in itertools.product(*map(_divisors, shape))})
        near = [n for n in able if n < count][-2:] + [n for n in able if n > count][:1]
        raise ValueError(
            f"`devices` must cut a grid of {' × '.join(map(str, shape))} cells into equal parts, but {count} cannot. "
            f"Take {', '.join(map(str, near))} devices, or a grid with an extent that {count} divides."
        )

    def cost(parts: tuple[int, ...]) -> Any:
        local = [n // m for n, m in zip(shape, parts, strict=True)]
        cut = [k for k, m in enumerate(parts) if m > 1]
        thin = max(0, _THICK - min((local[k] for k in cut), default=_THICK))
        surface = sum(int(np.prod(local)) // local[k] for k in cut)
        return thin, len(cut), surface, cut

    return min(ways, key=cost)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
