class VisaSegmenter:
    pass
