"""Why a number moved."""
