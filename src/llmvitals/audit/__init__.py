"""Past calls under other prices, and whether the calls are complete and agree with the providers' bills."""
