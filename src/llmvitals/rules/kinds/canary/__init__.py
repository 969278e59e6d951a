"""A canary: a new version that is compared with the previous one."""
