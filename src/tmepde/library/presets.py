"""Named sets of values. A value that is given explicitly wins over its preset."""

from __future__ import annotations

#: parameters of :class:`~tmepde.library.solid_tumour.SolidTumour` by character of the stroma (assumed)
STROMA: dict[str, dict[str, float]] = {
    # handbook 2.9: collagen and hyaluronan 0.15 in the tumour, 0.5 in a capsule, vessels that hold T cells badly
    "excluded": {},
    # pancreas-like: twice the matrix, a wider capsule (collagen 0.12, SPQSP PDAC)
    "desmoplastic": {
        "collagen_tumour": 0.12,
        "hyaluronan_tumour": 0.18,
        "collagen_host": 0.06,
        "hyaluronan_host": 0.06,
        "capsule_width": 90.0,
    },
    # no capsule, vessels that let T cells in
    "inflamed": {
        "collagen_capsule": 0.06,
        "hyaluronan_capsule": 0.04,
        "hyaluronan_tumour": 0.04,
        "capsule_barrier": 0.0,
        "adhesion_tumour": 0.6,
    },
}

#: parameters of the process ``blood_kinetics`` by patient: Stein's 24000 copies/µg × 0.01 cells/µL per copy/µg, 0.15 of
#: it in solid tumours (blood levels are 5–10 times lower); ten times it in mice (handbook 2.9)
BLOOD: dict[str, dict[str, float]] = {
    "human_solid": {"peak": 36.0},
    "human_leukaemia": {"peak": 240.0},
    "mouse": {"peak": 2400.0},
}
