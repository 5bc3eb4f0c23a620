"""The main job, shown: an unseen object, one look, then touch."""
