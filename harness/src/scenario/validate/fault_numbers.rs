//! Numbers of faults: within their bounds, and such that they make sense together.

use shakedown_nemesis::fault::{CLIENTS, DELAY_MS, PROBABILITIES};
use shakedown_nemesis::ports::PORTS;
use toml::Spanned;

use super::Problem;
use crate::scenario::{FaultParameters, millis};

pub(super) fn validate_numbers(parameters: &FaultParameters) -> Result<(), Problem> {
    match parameters {
        FaultParameters::Reset(reset) => {
            let probability = *reset.probability.get_ref();
            if probability == *PROBABILITIES.start() || !PROBABILITIES.contains(&probability) {
                let (none, all) = (PROBABILITIES.start(), PROBABILITIES.end());
                let message = format!("expected a probability above {none}, up to {all}");
                return Err(Problem::at(&reset.probability, message));
            }
            for pattern in &reset.containing {
                if let Err(error) = regex::bytes::Regex::new(pattern.get_ref()) {
                    let message = format!("expected a regular expression: {error}");
                    return Err(Problem::at(pattern, message));
                }
            }
        }
        FaultParameters::Delay(delay) => {
            if !DELAY_MS.contains(&millis(*delay.delay.get_ref())) {
                let (least, most) = (DELAY_MS.start(), DELAY_MS.end());
                let message = format!("expected a delay of {least} to {most} ms");
                return Err(Problem::at(&delay.delay, message));
            }
            if delay.jitter > *delay.delay.get_ref() {
                return Err(Problem::at(
                    &delay.delay,
                    "expected a `jitter` not above the delay: packets cannot arrive before they are sent",
                ));
            }
        }
        FaultParameters::Shape(shape) => {
            let effects = shape.effects().check();
            let both_ways = shape.both && shape.from.get_ref().0.iter().any(|f| f == CLIENTS);
            let problem = if both_ways {
                Some(format!(
                    "`both` can't be had with `{CLIENTS}`: what goes to them comes in at no node"
                ))
            } else if let Some(message) = shape.port.and_then(bad_port) {
                Some(message)
            } else {
                effects.err().map(|error| error.to_string())
            };
            if let Some(message) = problem {
                return Err(Problem::at(&shape.to, message));
            }
        }
        FaultParameters::Block(block) => validate_port(&block.port)?,
        FaultParameters::Stream(stream) => {
            validate_port(&stream.port)?;
            if let Err(message) = stream.mode() {
                return Err(Problem::at(&stream.nodes, message));
            }
        }
        FaultParameters::Pause(pause) => {
            let checked = match pause.act() {
                Ok(Some(act)) => act.check(),
                Ok(None) => Ok(()),
                Err(message) => Err(message),
            };
            checked.map_err(|message| Problem::at(&pause.service, message))?;
        }
        FaultParameters::Local(local) => {
            let local = local.common();
            local
                .act(0, "")
                .and_then(|act| act.check())
                .map_err(|message| Problem::at(local.nodes(), message))?;
        }
        FaultParameters::Clock(clock) => {
            clock
                .skew()
                .map_err(|(place, message)| Problem::at(&Spanned::new(place, ()), message))?;
        }
        _ => {}
    }
    Ok(())
}

fn validate_port(port: &Spanned<u16>) -> Result<(), Problem> {
    match bad_port(*port.get_ref()) {
        Some(message) => Err(Problem::at(port, message)),
        None => Ok(()),
    }
}

fn bad_port(port: u16) -> Option<String> {
    let (least, most) = (PORTS.start(), PORTS.end());
    (!PORTS.contains(&port)).then(|| format!("expected a port of {least} to {most}"))
}
