"""Other people's results: folders of images scored, and joined to a study."""
