"""Pictures on their way in: fetched from a source, decoded at full depth, scaled by area, split by patient, stored."""
