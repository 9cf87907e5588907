//! The chart: for each figure that `direct` has too, a group of bars with the ratios to it.

use anyhow::{Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::{
    contenders::BASE,
    figures::Better,
    json::{ContenderDocument, Document, FigureDocument},
};

const SIZE: (u32, u32) = (1400, 980);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(34, 34, 34);
const GRID: RGBColor = RGBColor(217, 217, 217);

/// Apart also for those who see few colours; the redirector has blues, each other kind another.
const COLOURS: [(&str, RGBColor); 9] = [
    (BASE, RGBColor(119, 119, 119)),
    ("iptables", RGBColor(204, 121, 0)),
    ("nft", RGBColor(240, 180, 60)),
    ("redirector-tc", RGBColor(0, 68, 136)),
    ("redirector-xdp-native", RGBColor(51, 136, 204)),
    ("redirector-xdp-generic", RGBColor(136, 196, 238)),
    ("haproxy", RGBColor(170, 51, 85)),
    ("nginx-stream", RGBColor(34, 136, 85)),
    ("rinetd", RGBColor(120, 80, 160)),
];

/// Longer bars are cut, so that one contender does not make all others look alike.
const HIGHEST: f64 = 4.0;
/// How much of a group's width its bars take.
const WIDTH: f64 = 0.86;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub fn render(document: &Document) -> Result<String> {
    let mut text = String::new();
    draw(document, &mut text).map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    Ok(text)
}

fn draw(document: &Document, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (head, rest) = area.split_vertically(96);
    legend(document, &head)?;
    let (panels, foot) = rest.split_vertically(SIZE.1 - 96 - 26);
    let (upper, lower) = panels.split_vertically((SIZE.1 - 96 - 26) / 2);
    panel(document, Better::Higher, "higher is better", &upper)?;
    panel(document, Better::Lower, "lower is better", &lower)?;
    foot.draw_text(
        &format!(
            "bars: median of {} rounds of {} s, lines: lowest to highest; cut at {HIGHEST}; kernel {}, one of {} CPUs ({}); {}",
            document.rounds,
            document.seconds,
            document.kernel,
            document.cpus,
            document.cpu,
            document.date
        ),
        &(FONT, 14).into_font().color(&INK),
        (16, 4),
    )?;
    area.present()?;
    Ok(())
}

fn legend(document: &Document, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    area.draw_text(
        "Ratio to a direct connection (1 = as fast as without any redirection)",
        &(FONT, 22).into_font().color(&INK),
        (16, 12),
    )?;
    let style = (FONT, 15).into_font().color(&INK);
    let mut left = 16;
    for (name, colour) in shown(document) {
        area.draw(&Rectangle::new(
            [(left, 58), (left + 14, 72)],
            colour.filled(),
        ))?;
        area.draw_text(name, &style, (left + 20, 57))?;
        left += 44 + 8 * i32::try_from(name.len())?;
    }
    Ok(())
}

fn panel(
    document: &Document,
    better: Better,
    caption: &str,
    area: &Area<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    let figures: Vec<_> = document
        .figures
        .iter()
        .filter(|figure| figure.better == better && figure.of(BASE).is_some())
        .collect();
    if figures.is_empty() {
        return Ok(());
    }
    let contenders = shown(document);
    let top = highest(&figures, &contenders) * 1.08;
    let groups = figures.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 17).into_font().color(&INK))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..groups, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_labels(6)
        .y_label_formatter(&|value| format!("{value:.1}"))
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 14).into_font().color(&INK))
        .draw()?;
    let bar = WIDTH / contenders.len() as f64;
    let above = Pos::new(HPos::Left, VPos::Center);
    let number = (FONT, 12)
        .into_font()
        .transform(FontTransform::Rotate270)
        .color(&INK)
        .pos(above);
    for (group, figure) in figures.iter().enumerate() {
        let start = group as f64 + (1.0 - WIDTH) / 2.0;
        for (place, &(name, colour)) in contenders.iter().enumerate() {
            let Some((ratio, spread)) = figure.of(name).and_then(ContenderDocument::ratios) else {
                continue;
            };
            let left = start + bar * place as f64;
            let height = ratio.min(HIGHEST);
            chart.draw_series([Rectangle::new(
                [(left, 0.0), (left + bar * 0.92, height)],
                colour.filled(),
            )])?;
            let middle = left + bar * 0.46;
            let [low, high] = spread.map(|end| end.min(HIGHEST));
            chart.draw_series([PathElement::new(
                [(middle, low), (middle, high)],
                INK.stroke_width(1),
            )])?;
            let (x, y) = chart.backend_coord(&(middle, high));
            let (dx, dy) = area.get_base_pixel();
            area.draw_text(&format!("{ratio:.2}"), &number, (x - dx, y - dy - 4))?;
        }
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
        let (dx, dy) = area.get_base_pixel();
        let centred = Pos::new(HPos::Center, VPos::Top);
        area.draw_text(
            figure.title,
            &(FONT, 15).into_font().color(&INK).pos(centred),
            (x - dx, y - dy + 8),
        )?;
    }
    chart.draw_series(LineSeries::new(
        [(0.0, 1.0), (groups, 1.0)],
        INK.stroke_width(1),
    ))?;
    Ok(())
}

/// The contenders that some figure has, in their own order.
fn shown(document: &Document) -> Vec<(&'static str, RGBColor)> {
    let has = |name: &str| {
        document
            .figures
            .iter()
            .any(|figure| figure.of(name).is_some())
    };
    COLOURS.into_iter().filter(|(name, _)| has(name)).collect()
}

fn highest(figures: &[&FigureDocument], contenders: &[(&str, RGBColor)]) -> f64 {
    let ratios = figures.iter().flat_map(|figure| {
        let of = |(name, _): &(&str, RGBColor)| Some(figure.of(name)?.ratio_spread?[1]);
        contenders.iter().filter_map(of)
    });
    // Room for the numbers above the bars.
    ratios.fold(1.0, f64::max).min(HIGHEST) * 1.1
}
