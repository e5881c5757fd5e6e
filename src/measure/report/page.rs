//! A page of HTML, put together from its parts: one file with nothing outside itself. Cold.

use std::fmt::Write as _;

/// Text as HTML shows it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page that grows from its title down.
pub struct Page {
    body: String,
    title: String,
}

impl Page {
    /// With its title and a line below it.
    pub fn new(title: &str, below: &str) -> Page {
        let body = format!("<header><h1>{}</h1><p class=\"below\">{}</p></header>\n", escaped(title), escaped(below));
        Page { body, title: title.to_owned() }
    }

    /// Adds HTML as it is.
    pub fn raw(&mut self, html: &str) -> &mut Page {
        self.body.push_str(html);
        self.body.push('\n');
        self
    }

    /// A heading and, below it, what the reader is to look for.
    pub fn section(&mut self, heading: &str, explains: &str) -> &mut Page {
        let (heading, explains) = (escaped(heading), escaped(explains));
        self.raw(&format!("<h2>{heading}</h2>\n<p class=\"explains\">{explains}</p>"))
    }

    /// A plot under a caption.
    pub fn plot(&mut self, caption: &str, svg: &str) -> &mut Page {
        self.raw(&format!("<figure><figcaption>{}</figcaption>{svg}</figure>", escaped(caption)))
    }

    /// A box of warnings; nothing for none.
    pub fn marks(&mut self, marks: &[String]) -> &mut Page {
        if marks.is_empty() {
            return self;
        }
        let items: String = marks.iter().fold(String::new(), |mut items, mark| {
            let _ = write!(items, "<li>{}</li>", escaped(mark));
            items
        });
        self.raw(&format!("<div class=\"marks\"><strong>Mind this</strong><ul>{items}</ul></div>"))
    }

    /// A table; cells of every column but the first are figures. A cell that begins with `!` is a warning.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> &mut Page {
        let mut html = String::from("<div class=\"wide\"><table><thead><tr>");
        for heading in headings {
            let _ = write!(html, "<th>{}</th>", escaped(heading));
        }
        html.push_str("</tr></thead><tbody>");
        for row in rows {
            html.push_str("<tr>");
            for cell in row {
                match cell.strip_prefix('!') {
                    Some(text) => drop(write!(html, "<td class=\"poor\">{}</td>", escaped(text))),
                    None => drop(write!(html, "<td>{}</td>", escaped(cell))),
                }
            }
            html.push_str("</tr>");
        }
        html.push_str("</tbody></table></div>");
        self.raw(&html)
    }

    /// What `inside` adds, folded away behind a line that says what it comes to.
    pub fn folded(&mut self, line: &str, inside: impl FnOnce(&mut Page)) -> &mut Page {
        self.raw(&format!("<details><summary>{}</summary>", escaped(line)));
        inside(self);
        self.raw("</details>")
    }

    /// Names and values.
    pub fn facts(&mut self, facts: &[(&str, String)]) -> &mut Page {
        let mut html = String::from("<dl>");
        for (name, value) in facts {
            let _ = write!(html, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
        }
        html.push_str("</dl>");
        self.raw(&html)
    }

    /// The whole file.
    pub fn finish(&self) -> String {
        let title = escaped(&self.title);
        let head = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><main>\n"
        );
        format!("{head}{}</main></body></html>\n", self.body)
    }
}

const STYLE: &str = "\
:root{--ink:#333c48;--soft:#6b7685;--line:#e2e6ec;--back:#f6f7f9;--poor:#b3261e}\
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);\
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',sans-serif}\
main{max-width:1240px;margin:0 auto;padding:32px 24px 64px}\
header{border-bottom:3px solid #0072b2;margin-bottom:20px}h1{font-size:28px;margin:0}\
.below{color:var(--soft);margin:2px 0 14px}h2{font-size:19px;margin:36px 0 2px}\
.explains{color:var(--soft);margin:0 0 12px;max-width:78ch}\
figure{background:#fff;border:1px solid var(--line);border-radius:8px;margin:0 0 16px;padding:14px 12px 6px}\
figcaption{font-weight:600;font-size:14px;margin:0 6px 4px}svg{width:100%;height:auto;display:block}\
.wide{overflow-x:auto;background:#fff;border:1px solid var(--line);border-radius:8px;margin-bottom:16px}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13px}\
th,td{padding:6px 8px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\
th{font-weight:600;color:var(--soft);background:#fbfcfd}tr:last-child td{border-bottom:0}\
th:first-child,td:first-child{text-align:left}td.poor{color:var(--poor);font-weight:600}\
details{margin-bottom:10px}summary{cursor:pointer;font-size:14px;margin:0 0 8px}\
.marks{border:1px solid #e7b9a0;background:#fff6f0;border-radius:8px;padding:10px 16px;margin-bottom:16px}\
.marks ul{margin:4px 0 0;padding-left:20px}dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;\
background:#fff;border:1px solid var(--line);border-radius:8px;padding:12px 16px;margin:0 0 16px;font-size:14px}\
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}code,pre{font:13px ui-monospace,Menlo,monospace}\
pre{background:#fff;border:1px solid var(--line);border-radius:8px;padding:10px 14px;white-space:pre-wrap;overflow-wrap:anywhere}\
.key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13.5px;margin:0 0 10px}\
.key b{display:inline-block;width:24px;margin-right:7px;vertical-align:4px}figure .key{margin:4px 6px 2px}\
.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_page_cannot_break_it() {
        let mut page = Page::new("a <b> & \"c\"", "below");
        page.table(&["x", "y"], &[vec!["<script>".into(), "!7".into()]]).marks(&["<i>".into()]).marks(&[]);
        let html = page.finish();
        assert!(html.contains("<h1>a &lt;b&gt; &amp; &quot;c&quot;</h1>"), "{html}");
        assert!(html.contains("<td>&lt;script&gt;</td><td class=\"poor\">7</td>") && !html.contains("<script>"));
        assert_eq!(html.matches("class=\"marks\"").count(), 1);
        // Self-contained: nothing is fetched.
        assert!(!html.contains("http") && !html.contains("src=") && !html.contains("@import"));
    }
}
