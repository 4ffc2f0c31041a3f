//! The Python agent: installed once, configured for a scene, started.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Mode, cycle::Worker, ours::Setup, scene::Scene};
use crate::Result;

/// The agent in a virtual environment.
#[derive(Clone, Debug)]
pub struct Python {
    interpreter: PathBuf,
    folder: PathBuf,
}

impl Python {
    /// The agent, installed by `python` into the target directory unless it is there already.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn installed(python: &str, folder: &Path) -> Result<Self> {
        let requirements = own_file("requirements.txt");
        let environment = folder.join("venv");
        let (interpreter, mark) = (environment.join("bin/python"), environment.join("installed.txt"));
        let wanted = fs::read(&requirements)?;
        if fs::read(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { interpreter, folder: folder.to_owned() });
        }
        run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(&interpreter);
        run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&requirements))?;
        fs::write(mark, wanted)?;
        Ok(Self { interpreter, folder: folder.to_owned() })
    }

    /// Starts it for a scene that is served as `setup` says.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, scene: &Scene, setup: &Setup) -> Result<Worker> {
        let name = format!("python-{}-{}", setup.system, setup.mode);
        let config = self.folder.join(format!("{name}.yaml"));
        // JSON is YAML.
        fs::write(&config, serde_json::to_vec_pretty(&settings(scene, setup))?)?;
        let mut command = Command::new(&self.interpreter);
        command.arg(own_file("cycle.py")).arg(setup.mode.as_str()).arg(&config).env("PYTHONDONTWRITEBYTECODE", "1");
        // The sockets are on this machine, whatever the environment says of proxies.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        Worker::start(command, &self.folder.join(format!("{name}.log")))
    }
}

/// The agent's settings file.
pub fn settings(scene: &Scene, setup: &Setup) -> Value {
    let system = setup.system.as_str();
    json!({
        "timezone": "UTC",
        "offerings": [{
            "name": format!("Peer {system}"),
            "waldur_api_url": format!("{}api/", setup.waldur),
            "waldur_api_token": setup.token,
            "waldur_offering_uuid": setup.offering.hex(),
            "backend_type": setup.system.backend_type(Mode::OrderProcess),
            "order_processing_backend": setup.system.backend_type(Mode::OrderProcess),
            "membership_sync_backend": setup.system.backend_type(Mode::MembershipSync),
            "reporting_backend": setup.system.backend_type(Mode::Report),
            "username_management_backend": "base",
            "backend_settings": scene.settings(&setup.backend),
            "backend_components": scene.component_settings(),
        }],
    })
}

fn own_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peer").join(name)
}

/// Where the environment and the logs go: below the target directory.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let folder = target.join("peer");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
