//! `redirector run`: interfaces that come and go, and what becomes of it all when it ends.

mod interfaces;
mod lifetime;
mod patterns;

use std::net::SocketAddr;
use std::process::Command;

use integration::netns::Namespace;
use integration::process::Background;
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener, is_refused};
use integration::topology::{CLIENT, SERVER, number};
use integration::wait;
use nix::sys::signal::Signal;
use serde_json::Value;

/// A `redirector run`. Dropping it kills it, and leaves what is loaded to [`Instance`].
struct Run(Background);

impl Run {
    #[track_caller]
    fn start(instance: &Instance, arguments: &str) -> Self {
        Self::of(instance, &mut instance.command("run", arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        Self(Background::start(command, Background::directory()))
    }

    /// Waits until it keeps the instance.
    #[track_caller]
    fn of(instance: &Instance, command: &mut Command) -> Self {
        let mut run = Self::spawn(command);
        wait::until("the instance is kept", || {
            run.0.assert_running();
            let status = json(&instance.run("status", "--json").stdout);
            status["supervisor"] == run.0.pid()
        });
        run
    }

    /// Waits until it has said this as often.
    #[track_caller]
    fn says(&mut self, line: &str, times: usize) {
        wait::until_some(line, || {
            self.0.assert_running();
            let said = self.0.stderr();
            let found = said.lines().filter(|said| said.contains(line)).count();
            assert!(found <= times, "{line:?} more often than {times}: {said}");
            (found == times).then_some(())
        });
    }

    /// Ends it as a service manager does: nothing is left.
    #[track_caller]
    fn stop(mut self) {
        self.0.signal(Signal::SIGTERM);
        assert_eq!(self.0.end(), Some(0), "{}", self.0.stderr());
    }

    fn kill(mut self) {
        self.0.signal(Signal::SIGKILL);
        assert_eq!(self.0.end(), None);
    }
}

/// Waits until `status` ends with this code, and gives its document.
#[track_caller]
fn status_is(instance: &Instance, code: i32) -> Value {
    wait::until_some(&format!("status exits {code}"), || {
        let status = instance.run("status", "--json");
        (status.code == Some(code)).then(|| json(&status.stdout))
    })
}

fn interface<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let interfaces = status["interfaces"].as_array().expect("interfaces");
    interfaces.iter().find(|each| each["name"] == name)
}

/// The names of those that are attached, sorted.
fn attached(status: &Value) -> Vec<&str> {
    let interfaces = status["interfaces"].as_array().expect("interfaces");
    let mut names: Vec<_> = interfaces
        .iter()
        .filter(|each| each["attached"] == true)
        .filter_map(|each| each["name"].as_str())
        .collect();
    names.sort_unstable();
    names
}

/// A client and a server that are not connected.
fn apart() -> (Namespace, Namespace) {
    let [client, server] = ["client", "server"].map(Namespace::new);
    (client, server)
}

/// Joins the two by an interface of the server's of this name.
fn connect(client: &Namespace, server: &Namespace, name: &str) {
    client.connect("eth0", server, name);
    number(client, "eth0", CLIENT);
    number(server, name, SERVER);
}

#[track_caller]
fn assert_answered(
    from: &Namespace,
    to: impl IntoIterator<Item = SocketAddr>,
    listener: &Listener,
) {
    for to in to {
        Connection::open(from, to, listener).exchange(&format!("{to} from {}", from.name()));
    }
}

#[track_caller]
fn assert_refused(from: &Namespace, to: impl IntoIterator<Item = SocketAddr>) {
    for to in to {
        assert!(is_refused(from, to), "{to} from {}", from.name());
    }
}
