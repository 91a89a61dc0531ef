"""Sources of images and labels: folders, tables, parquet files, tar files, the hub, named data sets."""
