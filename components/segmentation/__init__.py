"""One pass of a segmentation network over a recording: who speaks in each chunk, and whether
anybody does."""

from components.segmentation.network import WEIGHTS, load_weights, open_segmentation, segmenter
from components.segmentation.sliding import Segmentation, Segmented
