"""`python -m scim_bridge` is `scim-bridge`."""

from scim_bridge.cli import main

main(prog_name="scim-bridge")
