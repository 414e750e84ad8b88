"""Calibration of what a model says about presence: from the results of a validation split to the temperature in its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saymask.errors import CheckpointError, ConfigError, DataError
from saymask.metrics.calibration import expected_calibration_error, fit_temperature
from saymask.storage.atomic import replaced_file
from saymask.storage.json_files import read_json_object

KEY = "presence_temperature"


@dataclass(frozen=True)
class Calibration:
    """A model's temperature before and after, and its expected calibration error with each."""

    old_temperature: float
    temperature: float
    old_error: float
    error: float


def calibrate(results: Mapping[str, Any], folder: Path) -> Calibration:
    """Write the temperature that fits what was said in `results` best into the `config.json` of the model that said it.

    Args:
        results: of `saymask eval` on a validation split.
        folder: the model's.

    Raises:
        ConfigError: results of the exam, which must not decide anything about a model.
        DataError: the model did not say how sure it is.
        CheckpointError: no model that can say it is in the folder.
    """
    if results["split"].startswith("test"):
        exam = f"{results['dataset']} {results['split']}"
        raise ConfigError(f"results of {exam}: what is calibrated on an exam is no longer measured by it; evaluate on val")
    own = next(iter(results["rows"].values()))
    said = [pair for entry in own["expressions"] for pair in entry.get("presence", ())]
    if not said:
        raise DataError(f"results of {results['model']}: it did not say how sure it is that an object is there")
    path = folder / "config.json"
    config = read_json_object(path, CheckpointError, "give the folder of the model that was evaluated")
    if not config.get("presence_head"):
        raise CheckpointError(f"{path}: this model has no presence head; give the folder of the one that was evaluated")
    prob_K, true_K = np.array(said).T
    factor, old = fit_temperature(prob_K, true_K), config[KEY]
    with replaced_file(path) as draft:
        draft.write_text(json.dumps({**config, KEY: old * factor}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    prob_K = np.clip(prob_K, 1e-6, 1 - 1e-6)
    cooled_K = 1 / (1 + (1 / prob_K - 1) ** (1 / factor))
    return Calibration(old, old * factor, expected_calibration_error(prob_K, true_K), expected_calibration_error(cooled_K, true_K))
