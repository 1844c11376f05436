"""Taking a release out: as a zip, a folder, a report to print, an animation, or to the Hub."""
