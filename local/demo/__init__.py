"""The main job on sample mail, start to finish, on one machine: `python -m local.demo`."""
