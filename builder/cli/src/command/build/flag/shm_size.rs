//! `--shm-size`: how much `/dev/shm` may hold in RUN.

use super::Flag;
use crate::failure::Failure;
use crate::units;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct ShmSize {
    /// Size of /dev/shm in RUN
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
}

impl Flag for ShmSize {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if let Some(size) = &self.shm_size {
            let size = units::parse_memory(size);
            request.run.shm_size =
                Some(size.map_err(|error| Failure::usage(format!("--shm-size: {error}")))?);
        }
        Ok(())
    }
}
