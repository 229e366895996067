// Open a page in Firefox ESR by puppeteer-core (WebDriver BiDi), open a patient, and report what the console said.
const puppeteer = require("puppeteer-core");

(async () => {
  const [page_uri, firefox] = process.argv.slice(2);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: firefox, headless: true });
  const page = await browser.newPage();
  const messages = [];
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(String(error)));
  await page.goto(page_uri);
  await page.click(".ranking tbody th button");
  const opened = await page.$eval("#patient", (dialog) => dialog.open);
  const title = await page.$eval("#patient-title", (heading) => heading.textContent);
  await page.keyboard.press("Escape");
  const closed = await page.$eval("#patient", (dialog) => !dialog.open);
  console.log(JSON.stringify({ opened, title, closed, messages }));
  await browser.close();
})();
