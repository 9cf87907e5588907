//! Would a load work here, and would traffic reach the application?
