//! Facts about this host's network that the plan and the checks need.
