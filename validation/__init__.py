"""Comparison of tmepde with published data and theory: rows V1 to V25, one function each, grouped by theme.

    python -m validation.suite [V9 V10]      run all rows (or some) and keep what came out
    python -m validation.page                write docs/validation.md

Data that may not be shipped are read from the folder ``TMEPDE_DATA``; without it their rows say so.
"""
