//! Reads a guest list as JSON from standard input and greets everybody on it.

use std::io::read_to_string;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Guest {
    name: String,
    #[serde(default)]
    absent: bool,
}

fn main() -> Result<()> {
    let text = read_to_string(std::io::stdin()).context("can't read the guest list")?;
    let guests: Vec<Guest> = serde_json::from_str(&text).context("the guest list is not a JSON list of guests")?;
    for guest in guests.iter().filter(|g| !g.absent) {
        println!("Hello, {}!", guest.name);
    }
    Ok(())
}
