"""How the stages live: on Kafka, in processes, with their health pages."""
