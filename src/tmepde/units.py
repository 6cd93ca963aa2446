"""The internal unit system, as plain multipliers.

Inside tmepde every number is a plain float in

    length µm · time h · temperature K · pressure mmHg · pO₂ mmHg
    cells/mm³ · cytokines, drugs and nanoparticles nM (nmol per litre)

so that ``4 * mm`` is 4000.0 and ``30 * um**2 / minute`` is 1800.0.  Text such as ``"30 um^2/min"`` is parsed
once, at the edge, by :mod:`tmepde.config`.
"""

um = 1.0
nm = 1e-3
mm = 1e3
cm = 1e4

hour = 1.0
second = 1.0 / 3600.0
minute = 1.0 / 60.0
day = 24.0

mmHg = 1.0
nM = 1.0
uM = 1e3
mM = 1e6

#: molecules/cell/s × cells/mm³ → nM/h of *tissue* volume: 1 / N_A · 1e6 mm³/L · 1e9 nmol/mol · 3600 s/h.
SECRETION = 3600.0 * 1e6 * 1e9 / 6.02214076e23
