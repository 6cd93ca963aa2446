"""Tumours by name: matrix, vessels, growth, antigen and the way in for T cells.

Collagen of pancreas (0.12, SPQSP PDAC) and its growth in vitro (PANC-1 0.013/h), growth of gliomas (0.045/h, CARRGODEX)
are seen, the vessel density of 200/cm is from memory (Baxter-Jain 1989); everything else is assumed and says in which
direction a disease differs from the generic excluded tumour (collagen 0.06, hyaluronan 0.09, adhesion 0.1, growth
0.02/h, 5 % antigen-negative), not by how much.
"""

from __future__ import annotations

from typing import Any


def _tumour(
    *,
    collagen: float = 0.06,
    hyaluronan: float = 0.09,
    capsule: tuple[float, float] | None = None,
    vessels: float = 0.02,
    compression: float = 0.7,
    adhesion: float = 0.1,
    growth: float = 0.02,
    negative: float = 0.05,
    suppressors: float = 1.0,
) -> dict[str, Any]:
    """One disease.

    Args:
        collagen, hyaluronan: volume fractions in the nests.
        capsule: (collagen in the ring, width in µm), with 1.5 times as much hyaluronan; none: no ring at all.
        vessels: surface density, 1/µm.
        compression: matrix volume fraction that halves perfusion; soft vessels give way earlier.
        adhesion: of T cells to the tumour's vessels.
        growth: proliferation rate, 1/h.
        negative: share of cells without the antigen.
        suppressors: suppressor cells relative to the default of their processes, where a model carries these.
    """
    ring, width = capsule if capsule else (0.0, 0.0)
    return {
        "collagen_tumour": collagen,
        "hyaluronan_tumour": hyaluronan,
        "collagen_capsule": ring,
        "hyaluronan_capsule": 1.5 * ring,
        "capsule_width": width,
        "capsule_barrier": 0.55 if capsule else 0.0,
        "vessel_surface": vessels,
        "adhesion_tumour": adhesion,
        "antigen_negative": negative,
        "processes": {
            "growth": {"rate": growth},
            "perfusion": {"compression_half": compression},
            "regulatory_cells": {"resident": 2e3 * suppressors, "recruitment": 60.0 * suppressors},
            "myeloid_cells": {
                "mdsc_resident": 5e3 * suppressors,
                "mdsc_recruitment": 100.0 * suppressors,
                "m2_resident": 8e3 * suppressors,
                "macrophage_recruitment": 60.0 * suppressors,
            },
        },
    }


TUMOURS: dict[str, dict[str, Any]] = {
    "generic": {},
    # fibrous and rich in hyaluronan (Provenzano 2012), few and compressed vessels, many myeloid cells
    "pdac": _tumour(
        collagen=0.12,
        hyaluronan=0.18,
        capsule=(0.22, 90.0),
        vessels=0.012,
        compression=0.5,
        growth=0.013,
        negative=0.1,
        suppressors=2.0,
    ),
    # fibrous, fast, partly inflamed
    "tnbc": _tumour(collagen=0.08, hyaluronan=0.08, capsule=(0.15, 60.0), adhesion=0.3, growth=0.025, negative=0.1),
    # arterial vessels in a capsule, GPC3 on most cells
    "hcc": _tumour(collagen=0.05, hyaluronan=0.05, capsule=(0.2, 60.0), vessels=0.03, adhesion=0.2, negative=0.1),
    # no capsule, hyaluronan instead of collagen, vessels that hold T cells badly, EGFRvIII or IL13Ra2 on a part
    "glioblastoma": _tumour(
        collagen=0.01, hyaluronan=0.12, vessels=0.03, adhesion=0.05, growth=0.045, negative=0.3, suppressors=2.0
    ),
    # inflamed, CSPG4 on most cells
    "melanoma": _tumour(collagen=0.04, hyaluronan=0.04, vessels=0.025, adhesion=0.5, growth=0.025),
    # partly inflamed, antigen uneven
    "nsclc": _tumour(collagen=0.06, hyaluronan=0.06, adhesion=0.3, negative=0.2),
    # fibrous ring, CEA
    "colon": _tumour(collagen=0.08, hyaluronan=0.06, capsule=(0.2, 80.0), adhesion=0.15, negative=0.1),
    # MSLN uneven
    "ovarian": _tumour(hyaluronan=0.1, capsule=(0.15, 50.0), adhesion=0.15, negative=0.2, suppressors=1.5),
    # GD2 on nearly all cells, little stroma
    "neuroblastoma": _tumour(collagen=0.03, hyaluronan=0.05, vessels=0.03, growth=0.03, negative=0.02, suppressors=1.5),
    # driven by VEGF, densely vascular
    "renal": _tumour(collagen=0.04, hyaluronan=0.04, vessels=0.04, adhesion=0.2, growth=0.015),
    # fibrous, rich in kynurenine (Shao 2021)
    "escc": _tumour(collagen=0.08, hyaluronan=0.08, capsule=(0.2, 70.0), negative=0.15, suppressors=1.5),
    # fibrous, HER2 uneven
    "breast": _tumour(collagen=0.1, hyaluronan=0.06, capsule=(0.22, 80.0), growth=0.015, negative=0.2),
    # soft, GD2 on nearly all cells, behind the blood-retina barrier
    "retinoblastoma": _tumour(collagen=0.01, hyaluronan=0.05, adhesion=0.05, growth=0.03, negative=0.02),
}
