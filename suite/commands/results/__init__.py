"""The commands about results, own and published: `report`, `compare`, `collapse`, `audit`."""
