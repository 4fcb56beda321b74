"""Ready models, one file each: equations, citation, reference numbers. Imported as `sciml_models`."""
