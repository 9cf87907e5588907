//! Headless Chromium on a host, by the Chrome DevTools Protocol.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::netns::Namespace;
use crate::process::Background;
use crate::redirector::json;
use crate::wait;

const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// One page. Dropping it ends the browser.
pub struct Browser {
    socket: WebSocket<TcpStream>,
    session: String,
    last: u64,
    /// Exceptions, and what the console and the content policy complained about.
    pub complaints: Vec<String>,
    #[expect(dead_code, reason = "ends the browser when dropped")]
    process: Background,
}

#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// Opens `url` on a host.
    pub fn open(on: &Namespace, url: &str) -> Self {
        let directory = Background::directory();
        let profile = format!(
            "--user-data-dir={}",
            directory.path().join("profile").display()
        );
        let mut command = on.command("chromium");
        command.args(FLAGS).args([&profile, "about:blank"]);
        command.env("HOME", directory.path());
        let mut process = Background::start(&mut command, directory);
        let endpoint = wait::until_some("the browser's address", || {
            process.assert_running();
            let said = process.stderr();
            // Of the last line there may be half.
            let (complete, _) = said.rsplit_once('\n')?;
            let line = complete
                .lines()
                .find_map(|line| line.split_once("listening on "));
            line.map(|(_, endpoint)| endpoint.trim().to_owned())
        });
        let authority = endpoint.trim_start_matches("ws://");
        let (authority, _) = authority.split_once('/').expect("an address and a path");
        let stream = on
            .enter(|| TcpStream::connect(authority))
            .expect("the browser");
        stream
            .set_read_timeout(Some(wait::DEADLINE))
            .expect("a read timeout");
        let (socket, _) = tungstenite::client(&*endpoint, stream).expect("a web socket");
        let mut browser = Self {
            socket,
            session: String::new(),
            last: 0,
            complaints: Vec::new(),
            process,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let arguments = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", arguments);
        browser.session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.go(url);
        browser
    }

    pub fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// The value of a JavaScript expression.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let evaluated = self.evaluate(expression);
        evaluated.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    #[track_caller]
    fn evaluate(&mut self, expression: &str) -> Result<Value, Value> {
        let arguments = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
        });
        let answer = self.request("Runtime.evaluate", arguments)?;
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        Ok(answer["result"]["value"].clone())
    }

    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let expression = format!("document.querySelector({selector:?})?.innerText ?? ''");
        self.value(&expression).as_str().expect("a text").to_owned()
    }

    /// Waits until an expression is true, of this page or of one that it leads to.
    #[track_caller]
    pub fn until(&mut self, what: &str, expression: &str) {
        let expression = format!("Boolean({expression})");
        wait::until(what, || match self.evaluate(&expression) {
            Ok(value) => value == true,
            Err(error) if is_navigation(&error) => false,
            Err(error) => panic!("{expression}: {error}"),
        });
    }

    pub fn size(&mut self, width: u32, height: u32, scheme: Scheme) {
        let metrics = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// A PNG of the whole page.
    pub fn screenshot(&mut self, file: &Path) {
        let arguments = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", arguments);
        let data = answer["data"].as_str().expect("a picture");
        let picture = BASE64.decode(data.as_bytes()).expect("base64");
        assert!(picture.starts_with(b"\x89PNG"), "a PNG");
        std::fs::write(file, picture).expect("a file");
    }

    /// A key, as from the keyboard.
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            let code = match key {
                "Tab" => 9,
                "Enter" => 13,
                _ => 0,
            };
            let event = json!({
                "type": kind,
                "key": key,
                "code": key,
                "text": text,
                "windowsVirtualKeyCode": code,
            });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    #[track_caller]
    pub fn call(&mut self, method: &str, arguments: Value) -> Value {
        let answer = self.request(method, arguments);
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The error is the browser's.
    #[track_caller]
    fn request(&mut self, method: &str, arguments: Value) -> Result<Value, Value> {
        self.last += 1;
        let id = self.last;
        let mut request = json!({ "id": id, "method": method, "params": arguments });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        let request = Message::text(request.to_string());
        self.socket.send(request).expect("a browser that listens");
        loop {
            let message = match self.socket.read() {
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {
                    continue;
                }
                read => read.unwrap_or_else(|error| panic!("{method}: {error}")),
            };
            let Message::Text(text) = message else {
                continue;
            };
            let mut answer = json(&text);
            if answer["id"] == id {
                return match answer.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(answer["result"].take()),
                };
            }
            self.notice(&answer);
        }
    }

    fn notice(&mut self, event: &Value) {
        let entry = &event["params"]["entry"];
        let is_complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => entry["level"] == "error" || entry["source"] == "security",
            _ => false,
        };
        if is_complaint {
            self.complaints.push(event["params"].to_string());
        }
    }
}

/// Whether the page that was asked has been left meanwhile.
fn is_navigation(error: &Value) -> bool {
    let message = error["message"].as_str().unwrap_or_default();
    ["navigated or closed", "Execution context was destroyed"]
        .iter()
        .any(|known| message.contains(known))
}
