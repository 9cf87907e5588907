//! The samples of a run.

use std::collections::BTreeMap;

use super::{figures::Figure, measurements::Numbers};

/// By figure and contender, a place for each round.
pub struct Samples {
    rounds: usize,
    values: BTreeMap<(Figure, &'static str), Vec<Option<f64>>>,
}

impl Samples {
    pub fn new(rounds: usize) -> Self {
        Self {
            rounds,
            values: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, round: usize, contender: &'static str, numbers: Numbers) {
        for (figure, value) in numbers {
            let places = self
                .values
                .entry((figure, contender))
                .or_insert_with(|| vec![None; self.rounds]);
            if let Some(place) = places.get_mut(round) {
                *place = Some(value);
            }
        }
    }

    /// Empty if there is none.
    pub fn of(&self, figure: Figure, contender: &'static str) -> &[Option<f64>] {
        self.values
            .get(&(figure, contender))
            .map_or(&[], Vec::as_slice)
    }
}
