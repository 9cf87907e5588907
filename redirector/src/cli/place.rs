use crate::kernel::{Error, Instance, Place};

/// Says on standard error if an instance that is read is not of this network namespace.
pub fn tell(instance: &Instance) -> Result<Place, Error> {
    let place = instance.place()?;
    let name = &instance.name;
    match &place {
        Place::Here => {}
        Place::Elsewhere(way) => {
            eprintln!("note: instance \"{name}\" is loaded in another network namespace ({way})");
        }
        Place::Gone => {
            let gone = Error::GoneNamespace { name: name.clone() };
            eprintln!("note: {gone}");
        }
    }
    Ok(place)
}
