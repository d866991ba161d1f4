"""The doctor: a short probe of a training problem, the pathologies that it shows, and the line to change for each."""

from pinnjax.doctor.diagnosis import Check, Diagnosis
from pinnjax.doctor.evidence import SHORT, Evidence, Snapshot
from pinnjax.doctor.examine import diagnose
from pinnjax.doctor.probe import probe
from pinnjax.doctor.rules import RULES

__all__ = ["RULES", "SHORT", "Check", "Diagnosis", "Evidence", "Snapshot", "diagnose", "probe"]
