//! Where what is seen is shown: on a terminal, drawn anew; in a file or a pipe, a line for each change; for a script, a JSON
//! document for each.

use std::io::{IsTerminal, Write, stdout};

use crossterm::{cursor, queue, style::Print, terminal};
use keyferry_client::onboarding::Onboarding;

use super::{super::view, news::news};
use crate::{
    failure::Failure,
    output::{Output, plain, table},
};

/// Shows an onboarding over and over.
pub(super) struct Display {
    form: Form,
    shown: Option<Onboarding>,
    /// Whether the last look failed.
    is_in_trouble: bool,
}

enum Form {
    Json,
    Lines,
    /// With how many lines were drawn, and how often.
    Screen {
        drawn: u16,
        frames: usize,
    },
}

impl Display {
    pub(super) fn new(output: Output) -> Self {
        let form = match output {
            Output::Json => Form::Json,
            Output::Table if stdout().is_terminal() => Form::Screen { drawn: 0, frames: 0 },
            Output::Table => Form::Lines,
        };
        Self {
            form,
            shown: None,
            is_in_trouble: false,
        }
    }

    /// Shows what was seen.
    pub(super) fn show(&mut self, seen: &Onboarding) {
        self.is_in_trouble = false;
        let news = news(self.shown.as_ref(), seen);
        match &mut self.form {
            Form::Json if news.is_empty() => {}
            Form::Json => println!("{}", serde_json::to_string(seen).unwrap_or_default()),
            Form::Lines => news.iter().for_each(|line| println!("{line}")),
            Form::Screen { drawn, frames } => {
                let text = frame(seen, *frames);
                *frames += 1;
                // A terminal that cannot be written to shows nothing; what is watched goes on all the same.
                let _ = draw(&text, drawn);
            }
        }
        self.shown = Some(seen.clone());
    }

    /// Tells once that a look failed and the next may not; answers what cannot pass.
    pub(super) fn trouble(&mut self, failure: Failure) -> Result<(), Failure> {
        if !failure.is_passing() {
            return Err(failure);
        }
        if !self.is_in_trouble {
            eprintln!("keyferry: {failure}; trying again");
            if let Form::Screen { drawn, .. } = &mut self.form {
                *drawn = 0;
            }
        }
        self.is_in_trouble = true;
        Ok(())
    }
}

/// What a terminal shows at once.
fn frame(seen: &Onboarding, frames: usize) -> String {
    let (done, all) = (view::done(seen), seen.checks.len());
    let steps = seen.steps.iter().map(|step| format!("{} {}", step.step, step.status));
    let endpoint = seen.private_endpoint.as_ref().map(view::endpoint);
    let spinner = SPINNER.get(frames % SPINNER.len()).copied().unwrap_or_default();
    format!(
        "{} {}: {}\n  {}\n[{}{}] {done} of {all} checks{}\n\n{}\n\n{}\n",
        spinner,
        seen.slug,
        seen.stage,
        plain(&seen.display_name),
        "#".repeat(done),
        "-".repeat(all - done),
        endpoint.map_or_else(String::new, |endpoint| format!(
            "\nprivate endpoint {}",
            plain(&endpoint)
        )),
        steps.collect::<Vec<_>>().join(" · "),
        checks(seen),
    )
}

/// All checks, and of those that are not settled what was found and what is next: so much as a small terminal has room for.
fn checks(seen: &Onboarding) -> String {
    let rows = seen.checks.iter().map(|check| {
        let (found, next) = if matches!(check.status.as_str(), "failed" | "waiting") {
            (check.text.clone(), check.next.clone().unwrap_or_default())
        } else {
            (String::new(), String::new())
        };
        vec![check.check.clone(), check.status.clone(), found, next]
    });
    table(&["CHECK", "STATUS", "FOUND", "NEXT"], rows)
}

/// Draws over what was drawn before.
fn draw(text: &str, drawn: &mut u16) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let (width, height) = terminal::size().unwrap_or((u16::MAX, u16::MAX));
    if *drawn >= height {
        // What has left the screen at its top cannot be drawn over.
        queue!(out, terminal::Clear(terminal::ClearType::All), cursor::MoveTo(0, 0))?;
    } else if *drawn > 0 {
        queue!(
            out,
            cursor::MoveToPreviousLine(*drawn),
            terminal::Clear(terminal::ClearType::FromCursorDown)
        )?;
    }
    queue!(out, Print(text))?;
    let width = usize::from(width).max(1);
    // A line that is longer than the terminal is wide takes several of its lines.
    let lines = text.lines().map(|line| line.chars().count().div_ceil(width).max(1));
    *drawn = u16::try_from(lines.sum::<usize>()).unwrap_or(u16::MAX);
    out.flush()
}

const SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
