"""The parent flow: Prefect runs the DVC stages, with retries, time limits, device slots and a picture of the run."""
