"""A new version of something beside the old one."""
