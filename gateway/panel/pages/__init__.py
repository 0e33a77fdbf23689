"""The pages of the panel: each module here declares one `page`, and is found by its place."""
