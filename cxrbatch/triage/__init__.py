"""From scored images to ranked patients."""
