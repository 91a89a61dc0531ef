"""Where images and labels come from: folders, tables, parquet, tar files, the hub, named sets."""
