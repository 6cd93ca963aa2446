"""The strategies that two reviews of CAR-T therapy of solid tumours discuss, by number; therapies say which they cover.

Small Science 2026 (PMC12928070) and Chinese Medical Journal 138(19), 2025. ``Intervention.reviews`` holds the numbers.
"""

from __future__ import annotations

STRATEGIES: dict[int, str] = {
    1: "manganese dioxide particles, catalase: oxygen from hydrogen peroxide",
    2: "perfluorocarbon (PFC) and haemoglobin (hemoglobin) oxygen carriers",
    3: "oxygen-releasing scaffolds (calcium peroxide, CaO2, hydrogels)",
    4: "hypoxia of CAR-T cells",
    5: "lactate and acidosis",
    6: "calcium carbonate (CaCO3) and bicarbonate buffers",
    7: "2-deoxyglucose (2-DG): glycolysis block; fuels beside glucose (pyruvate, lactate, glutamine)",
    8: "glutamine antagonists (DON, JHU083)",
    9: "L-arginine, arginase",
    10: "IDO inhibition (epacadostat, HA-GO nanosheets), kynurenine",
    11: "adenosine, A2aR antagonists (SCH-58261 backpacks, AB928)",
    12: "TGF-beta inhibitors (SD-208, PEG particles)",
    13: "photothermal therapy (ICG, gold, black phosphorus, carbon, graphene oxide)",
    14: "sonodynamic and photodynamic therapy, reactive oxygen species",
    15: "magnetic guidance (iron oxide)",
    16: "radiosensitising oxygen carriers (gadolinium, CeO2-MnO2)",
    17: "size and charge of particles, enhanced permeability and retention",
    18: "hyaluronidase (PEGPH20) for the entry of particles",
    19: "IL-15 superagonist nanogel backpacks",
    20: "IL-12 nanochaperones and backpacks",
    21: "IL-2, IL-7, IL-15 secretion (7x19 CAR-T) and their receptors (CD25, IL2RB, IL15RA), IL-21, "
    "costimulation (CD28, 4-1BB, ICOS)",
    22: "chemokine receptors on CAR-T (CXCR6, CXCR2, CXCR1, CCR2b, CCR4, CXCR5)",
    23: "CXCL12/CXCR4 block (AMD3100)",
    24: "CCL2, CCL5, CCL19, CXCL10, CXCL9: attraction of effectors and suppressors (TAM, Treg, and MDSC, which "
    "G-CSF and IL-3 mobilise), 6-TG micelles",
    25: "STING agonists (c-di-GMP scaffolds), CpG/TLR9, TLR7; DAMP of dying cells (HMGB1, calreticulin, ATP)",
    26: "PD-1/PD-L1 blockade (anti-PD-1 antibody, Fe3O4 nanoclusters, secreted scFv)",
    27: "metabolic glycoengineering (ManNAz, azide/DBCO)",
    28: "in-situ CAR programming (PBAE-DNA, mRNA-LNP)",
    29: "synNotch CAR-T that secrete MMP or PH20",
    30: "heparanase (HPSE) and PH20 CAR-T",
    31: "FAP-CAR, ED-B fibronectin, fibroblast depletion",
    32: "bevacizumab and anti-VEGF(R)",
    33: "PAK4 inhibition",
    34: "endothelial metabolism (PFKFB3)",
    35: "combretastatin CA4P: vascular disruption",
    36: "nab-paclitaxel",
    37: "radiotherapy",
    38: "oncolytic virus, antigen delivery (CD19t)",
    39: "intratumoral, regional and intracavitary injection",
    40: "alginate, HPMC and PLGA scaffolds, lymph node mimetics",
    41: "nitinol thin film",
    42: "microneedle arrays",
    43: "antigen heterogeneity and antigen loss (EGFR, HER2, CEA, GPC3, mesothelin, IL13Ra2, CSPG4), bystander killing",
    44: "blood exposure in solid tumours and blood cancers",
    45: "cytokine release (CRS) and neurotoxicity (ICANS): tocilizumab, anakinra, scavengers",
    46: "carriers (liposome, PLGA, silica, MOF, carbon nanotubes, fullerene, albumin, PEG), ligands (folic acid, "
    "CD44, ganglioside GM3, SCARB1, antibody; coupled by maleimide, thiol or carbodiimide), triggers (GSH, disulfide, "
    "CTSS, plasmin, MMP) and imaging labels (gadolinium, iron, 19F, fullerene: a scan shows the particles)",
    47: "combinations of two or more",
}
