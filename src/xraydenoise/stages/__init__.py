"""The stages of dvc.yaml, a short module each: read the manifest, call the library, write the manifest."""
