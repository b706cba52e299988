// The Studio page, run as a classic inline script: everything is inside one function, and text is only ever set as text.
(function () {
  'use strict';
  if (customElements.get('latchkey-admin')) return;

  class LatchkeyAdmin extends HTMLElement {
    connectedCallback() {
      this.textContent = 'Latchkey: loading …';
      this.waitForApi(100);
    }

    // The page's API is assigned after the element is connected.
    waitForApi(tries) {
      if (this.pluginAPI) return void this.load();
      if (tries > 0) setTimeout(() => this.waitForApi(tries - 1), 50);
      else this.textContent = 'Latchkey: the page did not give access to the plugin.';
    }

    async load() {
      try {
        const health = await this.pluginAPI.call('health', {});
        const lines = ['Latchkey ' + health.version + ': ' + health.status];
        for (const problem of health.problems || []) lines.push(problem.text);
        this.replaceChildren(...lines.map((line) => {
          const p = document.createElement('p');
          p.textContent = line;
          return p;
        }));
      } catch (error) {
        this.textContent = 'Latchkey: the plugin did not answer.';
      }
    }
  }

  customElements.define('latchkey-admin', LatchkeyAdmin);
})();
