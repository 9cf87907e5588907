//! The document that a run leaves, from which table and chart are made too.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::{
    contenders::{BASE, Contender},
    facts,
    figures::{ALL, Better},
    samples::Samples,
    statistics::{median, ratios, spread},
};

/// More fields may be added under the same number.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub struct Document {
    schema: u32,
    pub date: String,
    pub kernel: String,
    pub cpu: String,
    pub cpus: usize,
    pub rounds: usize,
    pub seconds: u32,
    /// The load average before the run: above a fraction of a CPU, others were at work.
    pub load: f64,
    versions: BTreeMap<String, String>,
    pub figures: Vec<FigureDocument>,
    /// Contenders that could not be set up, and samples that could not be taken.
    pub missing: Vec<Missing>,
}

#[derive(Serialize)]
pub struct FigureDocument {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    how: &'static str,
    pub contenders: Vec<ContenderDocument>,
}

#[derive(Serialize)]
pub struct ContenderDocument {
    pub name: &'static str,
    /// One a round; null if it could not be taken.
    samples: Vec<Option<f64>>,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// The median of each round's ratio to `direct`; null where that has no such figure.
    pub ratio: Option<f64>,
    /// The smallest and largest of these ratios.
    pub ratio_spread: Option<[f64; 2]>,
}

#[derive(Serialize)]
pub struct Missing {
    pub contender: &'static str,
    /// The measurement; null if nothing of the contender is available.
    pub measurement: Option<String>,
    pub rounds: Vec<usize>,
    pub reason: String,
}

/// What was asked for.
pub struct Extent {
    pub rounds: usize,
    pub seconds: u32,
    pub load: f64,
}

impl Document {
    pub fn new(
        extent: &Extent,
        contenders: &[&Contender],
        samples: &Samples,
        missing: Vec<Missing>,
        redirector: &Path,
    ) -> Self {
        let figures = ALL.iter().map(|&figure| {
            let base = samples.of(figure, BASE);
            let documents = contenders.iter().filter_map(|contender| {
                ContenderDocument::new(contender.name, samples.of(figure, contender.name), base)
            });
            let facts = figure.facts();
            FigureDocument {
                name: facts.name,
                title: facts.title,
                unit: facts.unit,
                better: facts.better,
                how: facts.how,
                contenders: documents.collect(),
            }
        });
        Self {
            schema: SCHEMA,
            date: facts::date(),
            kernel: facts::kernel(),
            cpu: facts::cpu(),
            cpus: facts::cpus(),
            rounds: extent.rounds,
            seconds: extent.seconds,
            load: extent.load,
            versions: facts::versions(redirector),
            figures: figures
                .filter(|figure| !figure.contenders.is_empty())
                .collect(),
            missing,
        }
    }

    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl ContenderDocument {
    fn new(name: &'static str, samples: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        let values: Vec<_> = samples.iter().copied().flatten().collect();
        let [min, max] = spread(&values)?;
        let ratios = ratios(samples, base);
        Some(Self {
            name,
            samples: samples.to_owned(),
            median: median(&values)?,
            min,
            max,
            ratio: median(&ratios),
            ratio_spread: spread(&ratios),
        })
    }

    /// The ratio and its spread.
    pub fn ratios(&self) -> Option<(f64, [f64; 2])> {
        self.ratio.zip(self.ratio_spread)
    }
}

impl FigureDocument {
    pub fn of(&self, contender: &str) -> Option<&ContenderDocument> {
        self.contenders.iter().find(|each| each.name == contender)
    }
}

impl Serialize for Better {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ContenderDocument;

    #[test]
    fn the_ratio_is_that_of_the_rounds() {
        let samples = [Some(1.0), Some(8.0), None];
        let base = [Some(2.0), Some(4.0), Some(1.0)];
        let document = ContenderDocument::new("name", &samples, &base).unwrap();
        assert_eq!(document.median, 4.5);
        // Not 4.5 to 2.
        assert_eq!(document.ratio, Some(1.25));
        assert_eq!(document.ratio_spread, Some([0.5, 2.0]));
        assert!(ContenderDocument::new("name", &[None], &base).is_none());
    }
}
