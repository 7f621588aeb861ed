"""Modules as users write them: what exports have to copy."""
