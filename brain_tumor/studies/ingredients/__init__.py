"""What is each ingredient of the segmentation recipe worth? (notebook ``08_segmentation_recipe``)"""
