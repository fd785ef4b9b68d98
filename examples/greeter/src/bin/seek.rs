//! Prints the lines of standard input that greet somebody.

use std::io::stdin;

use anyhow::Result;
use regex::Regex;

fn main() -> Result<()> {
    let greeting = Regex::new(r"(?i)\bhello,? +\w+")?;
    for line in stdin().lines() {
        let line = line?;
        if greeting.is_match(&line) {
            println!("{line}");
        }
    }
    Ok(())
}
