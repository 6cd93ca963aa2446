"""Config files: TOML text with units ⇄ the objects of tmepde. Loading checks everything and starts no JAX.

config = tmepde.config.load("configs/colon_ihc.toml", {"run.until": "2 day"})
build = config.build()          # imports JAX; build.scenario, build.arms, build.save
"""

from tmepde.config.errors import ConfigError, Problem
from tmepde.config.load import load, loads

__all__ = ["ConfigError", "Problem", "load", "loads"]
