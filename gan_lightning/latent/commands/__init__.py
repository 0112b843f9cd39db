"""The commands of the command line that work on latents."""
