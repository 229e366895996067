"""Read DICOM radiographs: file → header → stored values → presentation values."""
