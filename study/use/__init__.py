"""A finished run at work: pictures of any size repaired, the model handed on."""
